// The recurrence of selective state spaces. A thread goes through a column of a sequence, with {{ together }} of its states
// at a time in registers.
{% if kept %}
// Where the block of a token has its state.
fn state_of(sequence: vec4<u32>, token: u32) -> u32 {
    return table[sequence.w + token / {{ block }}u] * parameters.block_stride;
}
{% endif %}

@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = group_number(id) * {{ threads }}u + lane;
    if (at >= parameters.count) {
        return;
    }
    let column = at % parameters.width;
    let sequence = sequences[at / parameters.width];
    for (var first = 0u; first < parameters.states; first += {{ together }}u) {
{% for i in range(together) %}
        let a{{ i }} = a[(first + {{ i }}u) * parameters.width + column];
        var h{{ i }} = 0.0;
{% endfor %}
{% if kept %}
        if (sequence.z > 0u) {
            let state = state_of(sequence, sequence.z - 1u) + first * parameters.width + column;
{% for i in range(together) %}
            h{{ i }} = blocks[state + {{ i }}u * parameters.width];
{% endfor %}
        }
{% endif %}
        for (var index = 0u; index < sequence.y; index += 1u) {
            let row = sequence.x + index;
            let number = x[row * parameters.x_stride + parameters.x_first + column];
            let step = delta[row * parameters.delta_stride + parameters.delta_first + column];
            let b_at = row * parameters.b_stride + parameters.b_first + first;
            let c_at = row * parameters.c_stride + parameters.c_first + first;
            let result = row * parameters.width + column;
            var y = {% if d %}d[column] * number{% else %}0.0{% endif %};
            if (first > 0u) {
                y = to[result];
            }
{% for i in range(together) %}
            h{{ i }} = exp(step * a{{ i }}) * h{{ i }} + step * b[b_at + {{ i }}u] * number;
            y += c[c_at + {{ i }}u] * h{{ i }};
{% endfor %}
            to[result] = y;
{% if kept %}
            let token = sequence.z + index;
            if (index + 1u == sequence.y || (token + 1u) % {{ block }}u == 0u) {
                let state = state_of(sequence, token) + first * parameters.width + column;
{% for i in range(together) %}
                blocks[state + {{ i }}u * parameters.width] = h{{ i }};
{% endfor %}
            }
{% endif %}
        }
    }
}
