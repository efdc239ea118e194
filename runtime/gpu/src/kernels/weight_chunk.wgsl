// A chunk of {{ chunk }} numbers of an output's weights in registers: loaded at once, then taken by fours.
{% macro load(o) %}
{% if format == "f32" %}
        let low{{ o }} = w[weight_row{{ o }} * parameters.weight_row + k / 4u];
{% elif format in ["f16", "bf16"] %}
        let low{{ o }} = vectors_of_w[weight_row{{ o }} * (parameters.weight_row / 2u) + k / 8u];
{% else %}
{% if low == 8 %}
        let low{{ o }} = vectors_of_w[(weight_row{{ o }} * parameters.weight_row + k / 4u) / 4u];
{% elif low == 4 %}
        let low{{ o }} = vectors_of_w[(weight_row{{ o }} * parameters.weight_row + k / 8u) / 4u];
{% else %}
        let at{{ o }} = weight_row{{ o }} * parameters.weight_row + k / 16u;
        let low{{ o }} = vec2(w[at{{ o }}], w[at{{ o }} + 1u]);
{% endif %}
{% if high == 2 %}
        let high_at{{ o }} = weight_row{{ o }} * parameters.weight_row + parameters.high_at + k / 16u;
        let high{{ o }} = vec2(w[high_at{{ o }}], w[high_at{{ o }} + 1u]);
{% elif high == 1 %}
        let high{{ o }} = w[weight_row{{ o }} * parameters.weight_row + parameters.high_at + k / 32u];
{% endif %}
{% endif %}
{% endmacro %}
{% macro four(o, q) %}
{% if format == "f32" %}
            let w{{ o }} = low{{ o }};
{% elif format == "f16" %}
            let w{{ o }} = vec4(unpack2x16float(low{{ o }}[{{ 2 * q }}]), unpack2x16float(low{{ o }}[{{ 2 * q + 1 }}]));
{% elif format == "bf16" %}
            let w{{ o }} = bitcast<vec4<f32>>(vec4(low{{ o }}[{{ 2 * q }}] << 16u, low{{ o }}[{{ 2 * q }}] & 0xffff0000u, low{{ o }}[{{ 2 * q + 1 }}] << 16u, low{{ o }}[{{ 2 * q + 1 }}] & 0xffff0000u));
{% else %}
{% if low == 8 %}
            var bits{{ o }} = (vec4(low{{ o }}[{{ q }}]) >> vec4(0u, 8u, 16u, 24u)) & vec4(255u);
{% elif low == 4 %}
            var bits{{ o }} = (vec4(low{{ o }}[{{ q // 2 }}]) >> vec4({{ q % 2 * 16 }}u, {{ q % 2 * 16 + 4 }}u, {{ q % 2 * 16 + 8 }}u, {{ q % 2 * 16 + 12 }}u)) & vec4(15u);
{% else %}
            var bits{{ o }} = (vec4(low{{ o }}[{{ q // 4 }}]) >> vec4({{ q % 4 * 8 }}u, {{ q % 4 * 8 + 2 }}u, {{ q % 4 * 8 + 4 }}u, {{ q % 4 * 8 + 6 }}u)) & vec4(3u);
{% endif %}
{% if high == 2 %}
            bits{{ o }} |= ((vec4(high{{ o }}[{{ q // 4 }}]) >> vec4({{ q % 4 * 8 }}u, {{ q % 4 * 8 + 2 }}u, {{ q % 4 * 8 + 4 }}u, {{ q % 4 * 8 + 6 }}u)) & vec4(3u)) << vec4({{ low }}u);
{% elif high == 1 %}
            bits{{ o }} |= ((vec4(high{{ o }}) >> vec4({{ 4 * q }}u, {{ 4 * q + 1 }}u, {{ 4 * q + 2 }}u, {{ 4 * q + 3 }}u)) & vec4(1u)) << vec4({{ low }}u);
{% endif %}
            let w{{ o }} = bitcast<vec4<f32>>(bits{{ o }} | vec4(0x4b000000u)) - {{ 8388608 + zero }}.0;
{% endif %}
{% endmacro %}
