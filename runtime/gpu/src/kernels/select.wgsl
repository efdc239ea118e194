// Rows of a matrix by their numbers.
@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = group_number(id) * {{ threads }}u + lane;
    if (at >= parameters.count) {
        return;
    }
    to[at] = x[ids[at / parameters.width] * parameters.width + at % parameters.width];
}
