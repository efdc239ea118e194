// Copies whole blocks. A thread has four numbers of one.
@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = group_number(id) * {{ threads }}u + lane;
    if (at >= parameters.count) {
        return;
    }
    let pair = pairs[at / parameters.length];
    let within = at % parameters.length;
    blocks[pair.y * parameters.length + within] = blocks[pair.x * parameters.length + within];
}
