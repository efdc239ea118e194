// Attention of some rows of one sequence for one head, with softmax as it goes along the keys.
//
// A workgroup has {{ queries }} rows and goes through {{ keys }} keys at a time, which it brings to shared memory, first the
// keys and then the values. A thread has {{ queries // down }} rows, first with four of the keys and then with some of the
// columns.
{% from "columns" import loader %}
{% include "attention_scores" %}
{% set quads = (head_size + 3) // 4 %}
{% set padded = quads + 1 %}
{% set across = keys // 4 %}
{% set threads = across * down %}
{% set each = queries // down %}
{% set slots = (quads + across - 1) // across %}
{{ loader("q") }}
{% if not kept %}
{{ loader("k") }}
{{ loader("v") }}
{% endif %}

var<workgroup> qs: array<vec4<f32>, {{ queries * quads }}>;
var<workgroup> kv: array<vec4<f32>, {{ keys * padded }}>;
var<workgroup> weights: array<vec4<f32>, {{ queries * across }}>;
var<workgroup> of_threads: array<f32, {{ queries * across }}>;

{% if relative == "disentangled" %}

// Products of a query and of a key with rows of tables, by their distance.
fn with_positions(row: u32, j: u32, distance: u32, head: u32) -> f32 {
    let bucket = (buckets[distance] * parameters.heads + head) * {{ head_size }}u;
    var more = 0.0;
    for (var d = 0u; d < {{ quads }}u; d += 1u) {
        let q = qs[row * {{ quads }}u + d];
        let k = kv[j * {{ padded }}u + d] * parameters.scale;
{% for c in range(4) %}
        if (4u * d + {{ c }}u < {{ head_size }}u) {
{% if position_keys %}
            more += q[{{ c }}] * position_keys[bucket + 4u * d + {{ c }}u];
{% endif %}
{% if position_queries %}
            more += k[{{ c }}] * position_queries[bucket + 4u * d + {{ c }}u];
{% endif %}
        }
{% endfor %}
    }
    return more;
}
{% endif %}

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
    let tx = lane % {{ across }}u;
    let ty = lane / {{ across }}u;
{% for r in range(each) %}
    let row{{ r }} = ty + {{ r * down }}u;
    let token{{ r }} = before + first + min(row{{ r }}, rows - 1u);
    var highest{{ r }} = MASKED;
    // Of this thread's keys alone.
    var sum{{ r }} = 0.0;
{% for s in range(slots) %}
    var y{{ r }}_{{ s }} = vec4(0.0);
{% endfor %}
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
                some = kept_at(block_of(sequence, key + j, head_of_keys) + d * {{ block }}u + (key + j) % {{ block }}u);
{% else %}
                some = load_k(sequence.x + key + j, head_of_keys, d);
{% endif %}
            }
            kv[j * {{ padded }}u + d] = some;
        }
        workgroupBarrier();
{% for r in range(each) %}
        var s{{ r }} = vec4(0.0);
{% endfor %}
        for (var d = 0u; d < {{ quads }}u; d += 1u) {
{% for j in range(4) %}
            let k{{ j }} = kv[(tx * 4u + {{ j }}u) * {{ padded }}u + d];
{% endfor %}
{% for r in range(each) %}
            let q{{ r }} = qs[row{{ r }} * {{ quads }}u + d];
            s{{ r }} += vec4(dot(q{{ r }}, k0), dot(q{{ r }}, k1), dot(q{{ r }}, k2), dot(q{{ r }}, k3));
{% endfor %}
        }
{% for r in range(each) %}
        for (var i = 0u; i < 4u; i += 1u) {
            let j = tx * 4u + i;
            var score = MASKED;
            if (j < count && sees(token{{ r }}, key + j)) {
                score = adjusted(s{{ r }}[i], head, token{{ r }}, key + j);
{% if relative == "disentangled" %}
                score += with_positions(row{{ r }}, j, parameters.reach + token{{ r }} - key - j, head);
{% endif %}
            }
            s{{ r }}[i] = score;
        }
        of_threads[row{{ r }} * {{ across }}u + tx] = max(max(s{{ r }}.x, s{{ r }}.y), max(s{{ r }}.z, s{{ r }}.w));
{% endfor %}
        workgroupBarrier();
        for (var i = lane; i < {{ keys * quads }}u; i += {{ threads }}u) {
            let j = i / {{ quads }}u;
            let d = i % {{ quads }}u;
            var some = vec4(0.0);
            if (j < count) {
{% if kept %}
                some = kept_at(block_of(sequence, key + j, head_of_keys) + {{ quads * block }}u + (key + j) % {{ block }}u * {{ quads }}u + d);
{% else %}
                some = load_v(sequence.x + key + j, head_of_keys, d);
{% endif %}
            }
            kv[j * {{ padded }}u + d] = some;
        }
{% for r in range(each) %}
        {
            var higher = highest{{ r }};
            for (var j = 0u; j < {{ across }}u; j += 1u) {
                higher = max(higher, of_threads[row{{ r }} * {{ across }}u + j]);
            }
            let weight = select(vec4(0.0), exp(s{{ r }} - higher), s{{ r }} > vec4(0.5 * MASKED));
            weights[row{{ r }} * {{ across }}u + tx] = weight;
            let shrink = exp(highest{{ r }} - higher);
            highest{{ r }} = higher;
            sum{{ r }} = sum{{ r }} * shrink + dot(weight, vec4(1.0));
{% for s in range(slots) %}
            y{{ r }}_{{ s }} *= shrink;
{% endfor %}
        }
{% endfor %}
        workgroupBarrier();
        for (var j = 0u; j < {{ across }}u; j += 1u) {
{% for r in range(each) %}
            let weight{{ r }} = weights[row{{ r }} * {{ across }}u + j];
{% endfor %}
{% for s in range(slots) %}
            {
                let at = j * {{ 4 * padded }}u + min(tx + {{ s * across }}u, {{ quads - 1 }}u);
{% for i in range(4) %}
                let v{{ i }} = kv[at + {{ i * padded }}u];
{% endfor %}
{% for r in range(each) %}
                y{{ r }}_{{ s }} += weight{{ r }}.x * v0 + weight{{ r }}.y * v1 + weight{{ r }}.z * v2 + weight{{ r }}.w * v3;
{% endfor %}
            }
{% endfor %}
        }
    }
    workgroupBarrier();
{% for r in range(each) %}
    of_threads[row{{ r }} * {{ across }}u + tx] = sum{{ r }};
{% endfor %}
    workgroupBarrier();
{% for r in range(each) %}
    if (row{{ r }} < rows) {
        var sum = 0.0;
        for (var j = 0u; j < {{ across }}u; j += 1u) {
            sum += of_threads[row{{ r }} * {{ across }}u + j];
        }
        // Nothing is seen of a source without tokens.
        let factor = select(0.0, 1.0 / sum, sum > 0.0);
        let at = ((sequence.x + first + row{{ r }}) * parameters.heads + head) * {{ head_size }}u;
{% for s in range(slots) %}
        y{{ r }}_{{ s }} *= factor;
{% for c in range(4) %}
        if (4u * (tx + {{ s * across }}u) + {{ c }}u < {{ head_size }}u) {
            to[at + 4u * (tx + {{ s * across }}u) + {{ c }}u] = y{{ r }}_{{ s }}[{{ c }}];
        }
{% endfor %}
{% endfor %}
    }
{% endfor %}
}
