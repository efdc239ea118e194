// Rows of a table by their numbers, or added to what is there; four numbers a thread. Rows of other parts of a table that is
// cut up are left to those.
{% include "weight" %}

@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = group_number(id) * {{ threads }}u + lane;
    if (at >= parameters.count) {
        return;
    }
    let quads = (parameters.width + 3u) / 4u;
    let row = at / quads;
    let k = at % quads * 4u;
    // Where the row is before this part, this is a large number.
    let place = ids[row] - parameters.first;
    if (place >= parameters.rows) {
        return;
    }
    let four = numbers(place, k);
    for (var i = 0u; i < min(4u, parameters.width - k); i += 1u) {
{% if adding %}
        to[row * parameters.width + k + i] += four[i];
{% else %}
        to[row * parameters.width + k + i] = four[i];
{% endif %}
    }
}
