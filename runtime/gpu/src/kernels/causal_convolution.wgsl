// A convolution of each column over a token and those before it. A thread goes through a column of a sequence.
{% if kept %}
// Where the block of a token has its state.
fn state_of(sequence: vec4<u32>, token: u32) -> u32 {
    return table[sequence.w + token / {{ block }}u] * parameters.block_stride;
}
{% endif %}

// Number `number` of the {{ size - 1 }} rows before those of the sequence and these.
fn row(sequence: vec4<u32>, number: u32, column: u32) -> f32 {
    if (number >= {{ size - 1 }}u) {
        return x[(sequence.x + number - {{ size - 1 }}u) * parameters.x_stride + parameters.x_first + column];
    }
{% if kept %}
    if (sequence.z > 0u) {
        return blocks[state_of(sequence, sequence.z - 1u) + number * parameters.width + column];
    }
{% endif %}
    return 0.0;
}

@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = group_number(id) * {{ threads }}u + lane;
    if (at >= parameters.count) {
        return;
    }
    let column = at % parameters.width;
    let sequence = sequences[at / parameters.width];
    for (var index = 0u; index < sequence.y; index += 1u) {
        var sum = {% if bias %}bias[column]{% else %}0.0{% endif %};
        for (var place = 0u; place < {{ size }}u; place += 1u) {
            sum += weight[place * parameters.width + column] * row(sequence, index + place, column);
        }
        to[(sequence.x + index) * parameters.width + column] = sum;
    }
{% if kept %}
    // The first of these states may replace the one that the run began with, of which later ones have rows.
    for (var behind = sequence.y; behind > 0u; behind -= 1u) {
        let token = sequence.z + behind - 1u;
        if (behind == sequence.y || (token + 1u) % {{ block }}u == 0u) {
            let state = state_of(sequence, token);
            for (var place = 0u; place < {{ size - 1 }}u; place += 1u) {
                blocks[state + place * parameters.width + column] = row(sequence, behind + place, column);
            }
        }
    }
{% endif %}
}
