// What is done with a number of a product before it is written: `activation(x + bias) * factor + add`.
{% include "activate" %}

fn finish(value: f32, row: u32, column: u32) {
    var y = value;
{% if bias %}
    y += bias[column];
{% endif %}
    y = activate(y);
    let at = row * parameters.width + column;
{% if factor %}
    y *= factor[at];
{% endif %}
{% if add %}
    y += add[at];
{% endif %}
    to[at] = y;
}
