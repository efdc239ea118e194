// A convolution over the tokens of each sequence in groups of columns, with zeros around it. A thread has a number of the
// result.
@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = group_number(id) * {{ threads }}u + lane;
    if (at >= parameters.count) {
        return;
    }
    let output = at % parameters.outputs;
    let token = at / parameters.outputs;
    let sequence = sequences[row_sequences[token]];
    let inner = parameters.inputs / parameters.convolved;
    let first = output / (parameters.outputs / parameters.convolved) * inner;
    var sum = {% if bias %}bias[output]{% else %}0.0{% endif %};
    for (var place = 0u; place < parameters.size; place += 1u) {
        let other = token + place - parameters.size / 2u;
        if (other - sequence.x < sequence.y) {
            for (var i = 0u; i < inner; i += 1u) {
                sum += x[other * parameters.inputs + first + i] * weight[(output * inner + i) * parameters.size + place];
            }
        }
    }
    to[at] = sum;
}
