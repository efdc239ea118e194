// Adds up what workgroups of `product_many` have left, and finishes it. A thread has a number of the result.
{% set fours = false %}
{% include "finish" %}

@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = group_number(id) * {{ threads }}u + lane;
    if (at >= parameters.count) {
        return;
    }
    var sum = 0.0;
    for (var part = 0u; part < parameters.parts; part += 1u) {
        sum += parts[part * parameters.count + at];
    }
    finish(sum, at / parameters.width, at % parameters.width);
}
