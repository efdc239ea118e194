// The weighted sum of what a row's experts made of it, in the order of their numbers. A thread has a number of the result.
@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = group_number(id) * {{ threads }}u + lane;
    if (at >= parameters.count) {
        return;
    }
    let row = at / parameters.width;
    let column = at % parameters.width;
    var sum = 0.0;
    for (var k = row * parameters.top_k; k < (row + 1u) * parameters.top_k; k += 1u) {
        sum += weights[k] * x[places[k] * parameters.width + column];
    }
    to[at] = sum;
}
