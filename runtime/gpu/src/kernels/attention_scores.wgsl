// What tokens see, and what is done with scores before they are weights. Tokens are counted from the first of the sequence.
{% set quads = (head_size + 3) // 4 %}
const MASKED = -1e30;

fn sees(token: u32, key: u32) -> bool {
    var seen = true;
{% if causal %}
    seen = seen && key <= token;
{% endif %}
{% if window %}
    seen = seen && key + parameters.window >= token && token + parameters.window >= key;
{% endif %}
    return seen;
}

// The first key that is seen from a token on.
fn first_seen(token: u32) -> u32 {
{% if window %}
    return token - min(token, parameters.window);
{% else %}
    return 0u;
{% endif %}
}

// One past the last key, of so many, that is seen up to a token.
fn end_seen(token: u32, keys: u32) -> u32 {
{% if causal %}
    return min(keys, token + 1u);
{% elif window %}
    return min(keys, token + parameters.window + 1u);
{% else %}
    return keys;
{% endif %}
}

// The score of a key that is seen.
fn adjusted(score: f32, head: u32, token: u32, key: u32) -> f32 {
    var s = score;
{% if soft_cap %}
    s = parameters.soft_cap * tanh(clamp(s / parameters.soft_cap, -15.0, 15.0));
{% endif %}
{% if relative == "bias" %}
    s += bias[head * (2u * parameters.reach + 1u) + parameters.reach + key - token];
{% endif %}
    return s;
}
{% if kept %}

// Where the keys of a token begin in its block: [heads, keys [quads, {{ block }}] and values [{{ block }}, quads]].
fn block_of(sequence: vec4<u32>, key: u32, head: u32) -> u32 {
    return (table[sequence.w + key / {{ block }}u] * parameters.key_value_heads + head) * {{ 2 * quads * block }}u;
}

// Four numbers of a block.
fn kept_at(at: u32) -> vec4<f32> {
{% if halves %}
    let some = blocks[at];
    return vec4(unpack2x16float(some.x), unpack2x16float(some.y));
{% else %}
    return blocks[at];
{% endif %}
}
{% endif %}
