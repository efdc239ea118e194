// Some columns of some rows, in place: `to = to * factors + add + bias`.
@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = group_number(id) * {{ threads }}u + lane;
    if (at >= parameters.count) {
        return;
    }
    let column = at % parameters.columns;
    let row = at / parameters.columns;
    let place = {% if rows %}rows[row]{% else %}row{% endif %} * parameters.stride + parameters.first + column;
    var y = to[place];
{% if factors %}
    y *= factors[column];
{% endif %}
{% if add %}
    y += add[at];
{% endif %}
{% if bias %}
    y += bias[column];
{% endif %}
    to[place] = y;
}
