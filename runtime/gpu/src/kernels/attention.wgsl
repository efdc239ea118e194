// Attention of some rows of one sequence for one head, with softmax as it goes along the keys.
//
// A workgroup has {{ queries }} rows and goes through {{ keys }} keys at a time, which it brings to shared memory, first the
// keys and then the values. Eight threads have a row: each its share of the scores, then of the columns of the sums.
{% from "columns" import loader %}
{% include "attention_scores" %}
{% set quads = (head_size + 3) // 4 %}
{% set padded = quads + 1 %}
{% set slots = (quads + 7) // 8 %}
{% set each = keys // 8 %}
{% set threads = queries * 8 %}
{{ loader("q") }}
{% if not kept %}
{{ loader("k") }}
{{ loader("v") }}
{% endif %}

var<workgroup> qs: array<vec4<f32>, {{ queries * quads }}>;
var<workgroup> kv: array<vec4<f32>, {{ keys * padded }}>;
var<workgroup> weights: array<f32, {{ queries * keys }}>;

@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let group = group_number(id);
    if (group >= parameters.groups) {
        return;
    }
    let head = group % parameters.heads;
    let part = group / parameters.heads % {{ tile // queries }}u;
    let tile = tiles[group / parameters.heads / {{ tile // queries }}u];
    let sequence = sequences[tile.x];
    let first = tile.y + part * {{ queries }}u;
    if (first >= sequence.y) {
        return;
    }
    let head_of_keys = head / (parameters.heads / parameters.key_value_heads);
    let rows = min({{ queries }}u, sequence.y - first);
{% if kept and causal %}
    let before = sequence.z;
    let all_keys = sequence.z + sequence.y;
{% elif kept %}
    let before = 0u;
    let all_keys = sequence.z;
{% else %}
    let before = 0u;
    let all_keys = sequence.y;
{% endif %}
    for (var i = lane; i < {{ queries * quads }}u; i += {{ threads }}u) {
        let row = i / {{ quads }}u;
        var some = vec4(0.0);
        if (row < rows) {
            some = load_q(sequence.x + first + row, head, i % {{ quads }}u) * parameters.scale;
        }
        qs[i] = some;
    }
    let row = lane / 8u;
    let share = lane % 8u;
    let token = before + first + min(row, rows - 1u);
    var highest = MASKED;
    var sum = 0.0;
{% for s in range(slots) %}
    var y{{ s }} = vec4(0.0);
{% endfor %}
    let end = end_seen(before + first + rows - 1u, all_keys);
    for (var key = first_seen(before + first); key < end; key += {{ keys }}u) {
        let count = min({{ keys }}u, end - key);
        workgroupBarrier();
        for (var i = lane; i < {{ keys * quads }}u; i += {{ threads }}u) {
{% if kept %}
            let j = i % {{ keys }}u;
            let d = i / {{ keys }}u;
{% else %}
            let j = i / {{ quads }}u;
            let d = i % {{ quads }}u;
{% endif %}
            var some = vec4(0.0);
            if (j < count) {
{% if kept %}
                some = blocks[block_of(sequence, key + j, head_of_keys) + d * {{ block }}u + (key + j) % {{ block }}u];
{% else %}
                some = load_k(sequence.x + key + j, head_of_keys, d);
{% endif %}
            }
            kv[j * {{ padded }}u + d] = some;
        }
        workgroupBarrier();
{% for i in range(each) %}
        var s{{ i }} = 0.0;
{% endfor %}
        for (var d = 0u; d < {{ quads }}u; d += 1u) {
            let some = qs[row * {{ quads }}u + d];
{% for i in range(each) %}
            s{{ i }} += dot(some, kv[(share + {{ 8 * i }}u) * {{ padded }}u + d]);
{% endfor %}
        }
{% for i in range(each) %}
        {
            let j = share + {{ 8 * i }}u;
            if (j < count && sees(token, key + j)) {
                s{{ i }} = adjusted(s{{ i }}, head, token, key + j);
{% if relative == "disentangled" %}
                let bucket = (buckets[parameters.reach + token - key - j] * parameters.heads + head) * {{ head_size }}u;
                var more = 0.0;
                for (var d = 0u; d < {{ quads }}u; d += 1u) {
{% for c in range(4) %}
                    if (4u * d + {{ c }}u < {{ head_size }}u) {
{% if position_keys %}
                        more += qs[row * {{ quads }}u + d][{{ c }}] * position_keys[bucket + 4u * d + {{ c }}u];
{% endif %}
{% if position_queries %}
                        more += kv[j * {{ padded }}u + d][{{ c }}] * parameters.scale * position_queries[bucket + 4u * d + {{ c }}u];
{% endif %}
                    }
{% endfor %}
                }
                s{{ i }} += more;
{% endif %}
            } else {
                s{{ i }} = MASKED;
            }
            weights[row * {{ keys }}u + j] = s{{ i }};
        }
{% endfor %}
        workgroupBarrier();
        for (var i = lane; i < {{ keys * quads }}u; i += {{ threads }}u) {
            let j = i / {{ quads }}u;
            let d = i % {{ quads }}u;
            var some = vec4(0.0);
            if (j < count) {
{% if kept %}
                some = blocks[block_of(sequence, key + j, head_of_keys) + {{ quads * block }}u + (key + j) % {{ block }}u * {{ quads }}u + d];
{% else %}
                some = load_v(sequence.x + key + j, head_of_keys, d);
{% endif %}
            }
            kv[j * {{ padded }}u + d] = some;
        }
        var higher = highest;
        for (var j = 0u; j < {{ keys }}u; j += 1u) {
            higher = max(higher, weights[row * {{ keys }}u + j]);
        }
        workgroupBarrier();
{% for i in range(each) %}
        weights[row * {{ keys }}u + share + {{ 8 * i }}u] = select(0.0, exp(s{{ i }} - higher), s{{ i }} > 0.5 * MASKED);
{% endfor %}
        workgroupBarrier();
        let shrink = exp(highest - higher);
        highest = higher;
        sum *= shrink;
{% for s in range(slots) %}
        y{{ s }} *= shrink;
{% endfor %}
        for (var j = 0u; j < {{ keys }}u; j += 1u) {
            let weight = weights[row * {{ keys }}u + j];
            sum += weight;
{% for s in range(slots) %}
            y{{ s }} += weight * kv[j * {{ padded }}u + min(share + {{ 8 * s }}u, {{ quads - 1 }}u)];
{% endfor %}
        }
    }
    if (row >= rows) {
        return;
    }
    // Nothing is seen of a source without tokens.
    let factor = select(0.0, 1.0 / sum, sum > 0.0);
    let at = ((sequence.x + first + row) * parameters.heads + head) * {{ head_size }}u;
{% for s in range(slots) %}
    y{{ s }} *= factor;
{% for c in range(4) %}
    if (4u * (share + {{ 8 * s }}u) + {{ c }}u < {{ head_size }}u) {
        to[at + 4u * (share + {{ 8 * s }}u) + {{ c }}u] = y{{ s }}[{{ c }}];
    }
{% endfor %}
{% endfor %}
}
