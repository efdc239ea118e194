// Each part of a row of `a`, followed by the same part of that row of `b`.
@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = group_number(id) * {{ threads }}u + lane;
    if (at >= parameters.count) {
        return;
    }
    let width = parameters.a_width + parameters.b_width;
    let row = at / (width * parameters.parts);
    let part = at / width % parameters.parts;
    let column = at % width;
    if (column < parameters.a_width) {
        to[at] = a[row * parameters.a_stride + parameters.a_first + part * parameters.a_width + column];
    } else {
        let of_b = part * parameters.b_width + column - parameters.a_width;
        to[at] = b[row * parameters.b_stride + parameters.b_first + of_b];
    }
}
