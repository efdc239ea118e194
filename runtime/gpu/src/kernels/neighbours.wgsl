// Each token's row between those of its neighbours, zeros outside of its sequence. A thread has a number of the result.
@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = group_number(id) * {{ threads }}u + lane;
    if (at >= parameters.count) {
        return;
    }
    let column = at % parameters.width;
    let place = at / parameters.width % parameters.size;
    let token = at / parameters.width / parameters.size;
    let sequence = sequences[row_sequences[token]];
    // Before the first token this is a large number.
    let other = token + place - parameters.size / 2u;
    let inside = other - sequence.x < sequence.y;
    to[at] = select(0.0, x[select(token, other, inside) * parameters.width + column], inside);
}
