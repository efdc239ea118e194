// Functions of one number, or of each of a vector: of a `{{ number }}`.
{% if activation == "gelu" %}
// The error function, with an error of at most 1.5e-7 (Abramowitz and Stegun, 7.1.26).
fn erf(x: {{ number }}) -> {{ number }} {
    let t = 1.0 / (1.0 + 0.3275911 * abs(x));
    let sum = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return sign(x) * (1.0 - sum * exp(-x * x));
}

fn activate(x: {{ number }}) -> {{ number }} {
    return 0.5 * x * (1.0 + erf(x * 0.70710678));
}
{% elif activation == "gelu_tanh" %}
fn activate(x: {{ number }}) -> {{ number }} {
    // Some drivers compute the hyperbolic tangent from exponentials that overflow.
    return 0.5 * x * (1.0 + tanh(clamp(0.79788456 * (x + 0.044715 * x * x * x), {{ number }}(-15.0), {{ number }}(15.0))));
}
{% elif activation == "relu" %}
fn activate(x: {{ number }}) -> {{ number }} {
    return max(x, {{ number }}(0.0));
}
{% elif activation == "silu" %}
fn activate(x: {{ number }}) -> {{ number }} {
    return x / (1.0 + exp(-x));
}
{% elif activation == "tanh" %}
fn activate(x: {{ number }}) -> {{ number }} {
    return tanh(clamp(x, {{ number }}(-15.0), {{ number }}(15.0)));
}
{% elif activation == "sigmoid" %}
fn activate(x: {{ number }}) -> {{ number }} {
    return 1.0 / (1.0 + exp(-x));
}
{% elif activation == "softplus" %}
fn activate(x: {{ number }}) -> {{ number }} {
    // log(1 + u) = 2 atanh(z) by its series: 1 + u would round away what counts of a small u.
    let u = exp(-abs(x));
    let z = u / (2.0 + u);
    let s = z * z;
    let sum = (((((s * 0.15384615 + 0.18181818) * s + 0.22222222) * s + 0.28571429) * s + 0.4) * s + 0.66666667) * s + 2.0;
    return max(x, {{ number }}(0.0)) + z * sum;
}
{% elif activation == "exp" %}
fn activate(x: {{ number }}) -> {{ number }} {
    return exp(x);
}
{% else %}
fn activate(x: {{ number }}) -> {{ number }} {
    return x;
}
{% endif %}
