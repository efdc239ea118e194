// From the rows of a sequence to one. A thread has a column of a sequence.
@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = group_number(id) * {{ threads }}u + lane;
    if (at >= parameters.count) {
        return;
    }
    let column = at % parameters.width;
    let sequence = sequences[at / parameters.width];
    if (sequence.y == 0u) {
        to[at] = 0.0;
        return;
    }
    let first = sequence.x;
    let last = sequence.x + sequence.y - 1u;
{% if pooling == "first" %}
    to[at] = x[first * parameters.width + column];
{% elif pooling == "last" %}
    to[at] = x[last * parameters.width + column];
{% else %}
    var y = x[first * parameters.width + column];
    for (var row = first + 1u; row <= last; row += 1u) {
{% if pooling == "mean" %}
        y += x[row * parameters.width + column];
{% else %}
        y = max(y, x[row * parameters.width + column]);
{% endif %}
    }
    to[at] = y{% if pooling == "mean" %} / f32(sequence.y){% endif %};
{% endif %}
}
