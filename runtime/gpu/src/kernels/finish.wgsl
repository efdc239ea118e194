// What is done with numbers of a product before they are written: `activation(x + bias) * factor + add`.
{% if fours %}
{% set number = "vec4<f32>" %}
{% include "activate" %}

{% macro four(name, at) %}vec4({{ name }}[{{ at }}], {{ name }}[{{ at }} + min(1u, last)], {{ name }}[{{ at }} + min(2u, last)], {{ name }}[{{ at }} + min(3u, last)]){% endmacro %}
// Four outputs of a row from `column` on, of which those from `start` to `end` are written.
fn finish(value: vec4<f32>, row: u32, column: u32, start: u32, end: u32) {
    let last = parameters.width - 1u - column;
    var y = value;
{% if bias %}
    y += {{ four("bias", "column") }};
{% endif %}
    y = activate(y);
    let at = row * parameters.width + column;
{% if factor %}
    y *= {{ four("factor", "at") }};
{% endif %}
{% if add %}
    y += {{ four("add", "at") }};
{% endif %}
{% for i in range(4) %}
    if (column + {{ i }}u >= start && column + {{ i }}u < end) {
        to[at + {{ i }}u] = y[{{ i }}];
    }
{% endfor %}
}
{% else %}
{% set number = "f32" %}
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
{% endif %}
