// Functions of one number.
{% if activation == "gelu" %}
// The error function, with an error of at most 1.5e-7 (Abramowitz and Stegun, 7.1.26).
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.3275911 * abs(x));
    let sum = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return sign(x) * (1.0 - sum * exp(-x * x));
}

fn activate(x: f32) -> f32 {
    return 0.5 * x * (1.0 + erf(x * 0.70710678));
}
{% elif activation == "gelu_tanh" %}
fn activate(x: f32) -> f32 {
    // Some drivers compute the hyperbolic tangent from exponentials that overflow.
    return 0.5 * x * (1.0 + tanh(clamp(0.79788456 * (x + 0.044715 * x * x * x), -15.0, 15.0)));
}
{% elif activation == "relu" %}
fn activate(x: f32) -> f32 {
    return max(x, 0.0);
}
{% elif activation == "silu" %}
fn activate(x: f32) -> f32 {
    return x / (1.0 + exp(-x));
}
{% elif activation == "tanh" %}
fn activate(x: f32) -> f32 {
    return tanh(clamp(x, -15.0, 15.0));
}
{% elif activation == "sigmoid" %}
fn activate(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(-x));
}
{% else %}
fn activate(x: f32) -> f32 {
    return x;
}
{% endif %}
