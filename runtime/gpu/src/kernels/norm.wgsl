// Each row brought to mean 0 (where `centred`) and mean square 1, then times `weight` and plus `bias`. A workgroup has a row.
{% include "reduce" %}

{% macro number(at) %}{% if x %}x[{{ at }}]{% else %}to[{{ at }}]{% endif %}{% endmacro %}
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
    let row = group_number(id);
    if (row >= parameters.groups) {
        return;
    }
{% if not subgroups %}
    let subgroup = 0u;
    let subgroup_count = 0u;
    let subgroup_lane = 0u;
{% endif %}
    let first = row * parameters.width;
    let count = f32(parameters.width);
{% if centred %}
    var sum = 0.0;
    for (var i = lane; i < parameters.width; i += {{ threads }}u) {
        sum += {{ number("first + i") }};
    }
    let mean = sum_over_threads(sum, lane, subgroup, subgroup_count, subgroup_lane) / count;
{% else %}
    let mean = 0.0;
{% endif %}
    var squares = 0.0;
    for (var i = lane; i < parameters.width; i += {{ threads }}u) {
        let centred = {{ number("first + i") }} - mean;
        squares += centred * centred;
    }
    let variance = sum_over_threads(squares, lane, subgroup, subgroup_count, subgroup_lane) / count;
    let scale = 1.0 / sqrt(variance + parameters.epsilon);
    for (var i = lane; i < parameters.width; i += {{ threads }}u) {
        to[first + i] = ({{ number("first + i") }} - mean) * scale * weight[i]{% if bias %} + bias[i]{% endif %};
    }
}
