// `to = activation(x) * factor * multiply + add`, four numbers a thread.
{% set number = "vec4<f32>" %}
{% include "activate" %}

@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = group_number(id) * {{ threads }}u + lane;
    if (at >= parameters.count) {
        return;
    }
    var y = {% if x %}x[at]{% else %}to[at]{% endif %};
    y = activate(y);
{% if scale %}
    y *= parameters.factor;
{% endif %}
{% if multiply %}
    y *= multiply[at];
{% endif %}
{% if add %}
    y += add[at];
{% endif %}
    to[at] = y;
}
