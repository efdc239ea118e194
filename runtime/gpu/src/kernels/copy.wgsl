// Some columns of a matrix as a matrix of their own.
@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = group_number(id) * {{ threads }}u + lane;
    if (at >= parameters.count) {
        return;
    }
    to[at] = x[at / parameters.width * parameters.stride + parameters.first + at % parameters.width];
}
