// Rows in half precision: each times the power of two that brings its greatest magnitude to between 2^14 and 2^15, so that
// nothing is too large for a half; what that costs stands in `cooperative.rs`. `scales` gets what undoes it.
// {% if terms == 2 %}What rounding takes off follows as a second matrix, behind all rows of the first. {% endif %}Rows are filled up with zeros. A workgroup has a row.

// Magnitudes as bits, which have their order, numbers or not: compilers of shaders may leave NaN out of account.
var<workgroup> greatest: array<u32, {{ threads }}>;

fn numbers(row: u32, k: u32) -> vec4<f32> {
    if (k >= parameters.inputs) {
        return vec4(0.0);
    }
{% if vectors %}
    return x[(row * parameters.inputs + k) / 4u];
{% else %}
    let at = row * parameters.inputs + k;
    let last = parameters.inputs - 1u - k;
    let four = vec4(x[at], x[at + min(1u, last)], x[at + min(2u, last)], x[at + min(3u, last)]);
    return select(four, vec4(0.0), vec4(0u, 1u, 2u, 3u) > vec4(last));
{% endif %}
}

@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group_number(id);
    if (row >= parameters.groups) {
        return;
    }
    var magnitude = vec4(0u);
    for (var k = 4u * lane; k < parameters.inputs; k += {{ 4 * threads }}u) {
        magnitude = max(magnitude, bitcast<vec4<u32>>(numbers(row, k)) & vec4(0x7fffffffu));
    }
    greatest[lane] = max(max(magnitude.x, magnitude.y), max(magnitude.z, magnitude.w));
    for (var half = {{ threads // 2 }}u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            greatest[lane] = max(greatest[lane], greatest[lane + half]);
        }
    }
    workgroupBarrier();
    // Where both powers are normal numbers.
    let exponent = clamp(greatest[0] >> 23u, 15u, 254u);
    let factor = bitcast<f32>((268u - exponent) << 23u);
    if (lane == 0u) {
        scales[row] = bitcast<f32>((exponent - 14u) << 23u);
    }
    for (var k = 4u * lane; k < 4u * parameters.fours; k += {{ 4 * threads }}u) {
        let four = numbers(row, k) * factor;
        let halves = vec2(pack2x16float(four.xy), pack2x16float(four.zw));
        let at = row * parameters.fours + k / 4u;
        to[at] = halves;
{% if terms == 2 %}
        let rest = four - vec4(unpack2x16float(halves.x), unpack2x16float(halves.y));
        // Of what is infinite, nothing.
        let finite = (bitcast<vec4<u32>>(four) & vec4(0x7f800000u)) != vec4(0x7f800000u);
        let some = select(vec4(0.0), rest, finite);
        to[parameters.plane + at] = vec2(pack2x16float(some.xy), pack2x16float(some.zw));
{% endif %}
    }
}
