// Four numbers of a head of some columns of a matrix; zeros behind the end of the head.
{% macro loader(name) %}
fn load_{{ name }}(row: u32, head: u32, d: u32) -> vec4<f32> {
    let at = row * parameters.{{ name }}_stride + parameters.{{ name }}_first + head * {{ head_size }}u + 4u * d;
{% if vectors %}
    return {{ name }}[at / 4u];
{% else %}
    let last = {{ head_size - 1 }}u - 4u * d;
    let four = vec4({{ name }}[at], {{ name }}[at + min(1u, last)], {{ name }}[at + min(2u, last)], {{ name }}[at + min(3u, last)]);
    return select(four, vec4(0.0), vec4(0u, 1u, 2u, 3u) > vec4(last));
{% endif %}
}
{% endmacro %}
