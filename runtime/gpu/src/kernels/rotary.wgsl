// Turns number `i` of each head with number `i + frequencies`, by the angle of the row's position. A thread has a pair.
@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let number = group_number(id) * {{ threads }}u + lane;
    if (number >= parameters.count) {
        return;
    }
    let i = number % parameters.frequencies;
    let head = number / parameters.frequencies % parameters.heads;
    let row = number / parameters.frequencies / parameters.heads;
    let at = row * parameters.stride + parameters.first + head * parameters.head_size + i;
    let angle = positions[row] * parameters.frequencies + i;
    let a = x[at];
    let b = x[at + parameters.frequencies];
    let cosine = cosines[angle];
    let sine = sines[angle];
    x[at] = a * cosine - b * sine;
    x[at + parameters.frequencies] = b * cosine + a * sine;
}
