// Writes the keys and values of new tokens into their blocks. A thread has four columns of a head of a row.
{% from "columns" import loader %}
{% set quads = (head_size + 3) // 4 %}
{{ loader("k") }}
{{ loader("v") }}

{% if halves %}
const GREATEST = vec4(65504.0);

// As four halves.
fn held(numbers: vec4<f32>) -> vec2<u32> {
    // A NaN stays one. It is told by its bits, since compilers of shaders may leave NaN out of account.
    let is_number = (bitcast<vec4<u32>>(numbers) & vec4(0x7fffffffu)) <= vec4(0x7f800000u);
    let some = select(numbers, clamp(numbers, -GREATEST, GREATEST), is_number);
    return vec2(pack2x16float(some.xy), pack2x16float(some.zw));
}
{% else %}
fn held(numbers: vec4<f32>) -> vec4<f32> {
    return numbers;
}
{% endif %}

@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let number = group_number(id) * {{ threads }}u + lane;
    if (number >= parameters.count) {
        return;
    }
    let d = number % {{ quads }}u;
    let head = number / {{ quads }}u % parameters.key_value_heads;
    let row = number / {{ quads }}u / parameters.key_value_heads;
    let sequence = sequences[row_sequences[row]];
    let token = sequence.z + row - sequence.x;
    let block = table[sequence.w + token / {{ block }}u] * parameters.key_value_heads + head;
    let at = block * {{ 2 * quads * block }}u;
    blocks[at + d * {{ block }}u + token % {{ block }}u] = held(load_k(row, head, d));
    blocks[at + {{ quads * block }}u + token % {{ block }}u * {{ quads }}u + d] = held(load_v(row, head, d));
}
