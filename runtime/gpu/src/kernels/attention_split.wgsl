// Attention of one row over {{ span }} of its keys, for {{ together }} heads that share them.
//
// First a thread has a key, of which neighbours in memory are neighbouring threads'; then it has four columns of the sums
// over every {{ threads // lanes }}th value. Where a row has keys of several workgroups, sums are left for `attention_join`.
{% from "columns" import loader %}
{% include "attention_scores" %}
{% set quads = (head_size + 3) // 4 %}
{{ loader("q") }}

var<workgroup> qs: array<vec4<f32>, {{ together * quads }}>;
var<workgroup> weights: array<f32, {{ together * threads }}>;
var<workgroup> maxima: array<f32, {{ together * threads }}>;
var<workgroup> sums: array<vec4<f32>, {{ threads }}>;

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
{% if subgroups %}
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroup_count: u32,
    @builtin(subgroup_invocation_id) subgroup_lane: u32,
{% endif %}
) {
    let group = group_number(id);
    if (group >= parameters.groups) {
        return;
    }
    let split = group % parameters.splits;
    let first_head = group / parameters.splits % (parameters.heads / {{ together }}u) * {{ together }}u;
    let number = group / parameters.splits / (parameters.heads / {{ together }}u);
    let row = few[number];
    let sequence = sequences[row_sequences[row]];
    let head_of_keys = first_head / (parameters.heads / parameters.key_value_heads);
{% if causal %}
    let token = sequence.z + row - sequence.x;
    let all_keys = token + 1u;
{% else %}
    let token = 0u;
    let all_keys = sequence.z;
{% endif %}
    let start = max(first_seen(token), split * {{ span }}u);
    let end = min(end_seen(token, all_keys), (split + 1u) * {{ span }}u);
    for (var i = lane; i < {{ together * quads }}u; i += {{ threads }}u) {
        qs[i] = load_q(row, first_head + i / {{ quads }}u, i % {{ quads }}u) * parameters.scale;
    }
    let column = lane % {{ lanes }}u;
    let part = lane / {{ lanes }}u;
{% for g in range(together) %}
    var highest{{ g }} = MASKED;
    var sum{{ g }} = 0.0;
    var y{{ g }} = vec4(0.0);
{% endfor %}
    workgroupBarrier();
    for (var key = start; key < end; key += {{ threads }}u) {
        let count = min({{ threads }}u, end - key);
        let mine = key + min(lane, count - 1u);
        let at = block_of(sequence, mine, head_of_keys) + mine % {{ block }}u;
{% for g in range(together) %}
        var s{{ g }} = 0.0;
{% endfor %}
        for (var d = 0u; d < {{ quads }}u; d += 1u) {
            let some = kept_at(at + d * {{ block }}u);
{% for g in range(together) %}
            s{{ g }} += dot(some, qs[{{ g }}u * {{ quads }}u + d]);
{% endfor %}
        }
{% for g in range(together) %}
        s{{ g }} = select(MASKED, adjusted(s{{ g }}, first_head + {{ g }}u, token, mine), lane < count);
{% endfor %}
        // The greatest score of each head.
{% if subgroups %}
{% for g in range(together) %}
        let greatest{{ g }} = subgroupMax(s{{ g }});
        if (subgroup_lane == 0u) {
            maxima[subgroup * {{ together }}u + {{ g }}u] = greatest{{ g }};
        }
{% endfor %}
        workgroupBarrier();
{% for g in range(together) %}
        var higher{{ g }} = highest{{ g }};
{% endfor %}
        for (var i = 0u; i < subgroup_count; i += 1u) {
{% for g in range(together) %}
            higher{{ g }} = max(higher{{ g }}, maxima[i * {{ together }}u + {{ g }}u]);
{% endfor %}
        }
{% else %}
{% for g in range(together) %}
        maxima[lane * {{ together }}u + {{ g }}u] = s{{ g }};
{% endfor %}
        for (var half = {{ threads // 2 }}u; half > 0u; half /= 2u) {
            workgroupBarrier();
            if (lane < half) {
{% for g in range(together) %}
                maxima[lane * {{ together }}u + {{ g }}u] = max(maxima[lane * {{ together }}u + {{ g }}u], maxima[(lane + half) * {{ together }}u + {{ g }}u]);
{% endfor %}
            }
        }
        workgroupBarrier();
{% for g in range(together) %}
        let higher{{ g }} = max(highest{{ g }}, maxima[{{ g }}u]);
{% endfor %}
{% endif %}
{% for g in range(together) %}
        weights[{{ g * threads }}u + lane] = select(0.0, exp(s{{ g }} - higher{{ g }}), lane < count);
        let shrink{{ g }} = exp(highest{{ g }} - higher{{ g }});
        highest{{ g }} = higher{{ g }};
        sum{{ g }} *= shrink{{ g }};
        y{{ g }} *= shrink{{ g }};
{% endfor %}
        workgroupBarrier();
        for (var j = part; j < count; j += {{ threads // lanes }}u) {
            let there = key + j;
            let at = block_of(sequence, there, head_of_keys) + {{ quads * block }}u + there % {{ block }}u * {{ quads }}u;
            let value = kept_at(at + min(column, {{ quads - 1 }}u));
{% for g in range(together) %}
            let weight{{ g }} = weights[{{ g * threads }}u + j];
            sum{{ g }} += weight{{ g }};
            y{{ g }} += weight{{ g }} * value;
{% endfor %}
        }
        workgroupBarrier();
    }
{% for g in range(together) %}
    sums[lane] = y{{ g }};
    maxima[lane] = sum{{ g }};
    for (var half = {{ threads // lanes // 2 }}u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (part < half) {
            sums[lane] += sums[lane + half * {{ lanes }}u];
            maxima[lane] += maxima[lane + half * {{ lanes }}u];
        }
    }
    workgroupBarrier();
    if (lane < {{ quads }}u) {
        let y = sums[lane];
        let sum = maxima[lane];
{% if joined %}
        // Nothing is seen of a source without tokens.
        let whole = y * select(0.0, 1.0 / sum, sum > 0.0);
        let at = (row * parameters.heads + first_head + {{ g }}u) * {{ head_size }}u + 4u * lane;
{% for c in range(4) %}
        if (4u * lane + {{ c }}u < {{ head_size }}u) {
            to[at + {{ c }}u] = whole[{{ c }}];
        }
{% endfor %}
{% else %}
        let place = (number * parameters.heads + first_head + {{ g }}u) * parameters.splits + split;
        parts[place * {{ quads + 1 }}u + lane] = y;
        if (lane == 0u) {
            parts[place * {{ quads + 1 }}u + {{ quads }}u] = vec4(highest{{ g }}, sum, 0.0, 0.0);
        }
{% endif %}
    }
    workgroupBarrier();
{% endfor %}
}
