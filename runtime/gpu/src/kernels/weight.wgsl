// Numbers of a weight. A caller asks for `factors_of` a place in a row and then for groups of four numbers near it; a group
// of numbers with one factor is at least 16 long, so that one serves for a chunk.
{% if format == "f32" %}
fn numbers(row: u32, k: u32) -> vec4<f32> {
    return w[row * parameters.weight_row + k / 4u];
}
{% elif format == "f16" %}
fn numbers(row: u32, k: u32) -> vec4<f32> {
    let words = w[row * parameters.weight_row + k / 4u];
    return vec4(unpack2x16float(words.x), unpack2x16float(words.y));
}
{% elif format == "bf16" %}
fn numbers(row: u32, k: u32) -> vec4<f32> {
    let words = w[row * parameters.weight_row + k / 4u];
    return bitcast<vec4<f32>>(vec4(words.x << 16u, words.x & 0xffff0000u, words.y << 16u, words.y & 0xffff0000u));
}
{% else %}
// The four numbers from `k` on, a multiple of 4, before their factor.
fn quants(row: u32, k: u32) -> vec4<f32> {
    let base = row * parameters.weight_row;
{% if low == 8 %}
    var bits = (vec4(w[base + k / 4u]) >> vec4(0u, 8u, 16u, 24u)) & vec4(255u);
{% elif low == 4 %}
    var bits = (vec4(w[base + k / 8u] >> ((k & 4u) * 4u)) >> vec4(0u, 4u, 8u, 12u)) & vec4(15u);
{% else %}
    var bits = (vec4(w[base + k / 16u] >> ((k & 12u) * 2u)) >> vec4(0u, 2u, 4u, 6u)) & vec4(3u);
{% endif %}
{% if high == 2 %}
    let above = vec4(w[base + parameters.high_at + k / 16u] >> ((k & 12u) * 2u)) >> vec4(0u, 2u, 4u, 6u);
    bits |= (above & vec4(3u)) << vec4({{ low }}u);
{% elif high == 1 %}
    let above = vec4(w[base + parameters.high_at + k / 32u] >> (k & 28u)) >> vec4(0u, 1u, 2u, 3u);
    bits |= (above & vec4(1u)) << vec4({{ low }}u);
{% endif %}
    // Whole numbers below 2^23 as the last bits of 2^23 plus them: a conversion takes longer than a difference.
    return bitcast<vec4<f32>>(bits | vec4(0x4b000000u)) - {{ 8388608 + zero }}.0;
}

// The factor of the numbers around `k`, and what is added to them.
fn factors_of(row: u32, k: u32) -> vec2<f32> {
    let base = row * parameters.weight_row + parameters.factors_at;
{% if factors == "half" %}
    let block = k / 32u;
    let both = unpack2x16float(w[base + block / 2u]);
    return vec2(select(both.x, both.y, (block & 1u) == 1u), 0.0);
{% elif factors == "pair" %}
    return unpack2x16float(w[base + k / 32u]);
{% elif factors == "single" %}
    return vec2(bitcast<f32>(w[base + k / 256u]), 0.0);
{% else %}
    let at = base + k / 256u * 5u;
    let of_block = unpack2x16float(w[at]);
    let number = (k & 255u) / {{ group }}u;
{% if factors == "scale" %}
    let scale = extractBits(bitcast<i32>(w[at + 1u + number / 4u]), (number & 3u) * 8u, 8u);
    return vec2(of_block.x * f32(scale), 0.0);
{% elif factors == "scale_and_min" %}
    let both = w[at + 1u + number / 2u] >> ((number & 1u) * 16u);
    return of_block * vec2(f32(both & 255u), f32((both >> 8u) & 255u));
{% else %}
    let both = w[at + 1u + number / 4u] >> ((number & 3u) * 8u);
    return of_block * vec2(f32(both & 15u), f32((both >> 4u) & 15u));
{% endif %}
{% endif %}
}

fn numbers(row: u32, k: u32) -> vec4<f32> {
    let factors = factors_of(row, k);
    return quants(row, k) * factors.x + factors.y;
}
{% endif %}
