// A product for many rows by cooperative matrices: `to[row, first + output] = finish(sum over k of x[row, k] w[output, k])`.
//
// A workgroup of four subgroups computes a tile of {{ rows }} rows and {{ outputs }} outputs, a quarter each, over {{ step }} inputs at a
// time that it brings to shared memory in halves; sums are in single precision. Rows come in halves from `halve`, weights
// are made halves here. Where inputs are cut up among workgroups, it leaves sums for `product_join`.
{% set threads = 4 * lanes %}
{% set down = rows // 2 // side %}
{% set across = outputs // 2 // side %}
{# Vectors of a row in shared memory, with some more against conflicts of banks. #}
{% set stride = step // 4 + 2 %}
{% set matrix = "coop_mat" ~ side ~ "x" ~ side %}
{% if format == "f16" %}
fn halves(row: u32, k: u32) -> vec4<f16> {
    return w[row * parameters.weight_row + k / 4u];
}
{% else %}
{% include "weight" %}
{% endif %}
{% set fours = true %}
{% include "finish" %}

// [row, input / 4] and [output, input / 4].
{% for term in range(terms) %}
var<workgroup> xs{{ term }}: array<vec4<f16>, {{ rows * stride }}>;
{% endfor %}
var<workgroup> ws: array<vec4<f16>, {{ outputs * stride }}>;
// A matrix of each subgroup, row by row.
var<workgroup> sums: array<vec4<f32>, {{ side * side }}>;

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
    // Not by the function, whose result naga would not take to be the same for all threads.
    let group = id.x + id.y * WIDTH;
    if (group >= parameters.groups) {
        return;
    }
{% include "tile" %}
    let first_down = subgroup / 2u * {{ rows // 2 }}u;
    let first_across = subgroup % 2u * {{ outputs // 2 }}u;
{% for r in range(down) %}
{% for o in range(across) %}
    var sum{{ r }}_{{ o }} = {{ matrix }}<f32, C>();
{% endfor %}
{% endfor %}
    for (var k = first_input; k < end_input; k += {{ step }}u) {
        workgroupBarrier();
        // Eight inputs of a row at a time. Behind the last row there is room, and what is there counts for nothing.
        for (var i = lane; i < {{ rows * step // 8 }}u; i += {{ threads }}u) {
            let row = i / {{ step // 8 }}u;
            let within = i % {{ step // 8 }}u * 2u;
            let there = (first_row + row) * parameters.fours + k / 4u + within;
            let at = row * {{ stride }}u + within;
{% for term in range(terms) %}
{% for i in range(2) %}
            xs{{ term }}[at + {{ i }}u] = x[{% if term %}parameters.plane + {% endif %}there + {{ i }}u];
{% endfor %}
{% endfor %}
        }
        // Sixteen inputs of an output, which have one factor.
        for (var i = lane; i < {{ outputs * step // 16 }}u; i += {{ threads }}u) {
            let row = i / {{ step // 16 }}u;
            let within = i % {{ step // 16 }}u * 16u;
            let output = first_output + row;
            let at = row * {{ stride }}u + within / 4u;
            let first_k = k + within;
            let held = output >= start && output < end;
{% if format == "blocks" %}
            if (held && first_k < parameters.inputs) {
                let factors = factors_of(output + from_output, first_k) * parameters.weight_scale;
{% for i in range(4) %}
                ws[at + {{ i }}u] = vec4<f16>(quants(output + from_output, first_k + {{ 4 * i }}u) * factors.x + factors.y);
{% endfor %}
            } else {
{% for i in range(4) %}
                ws[at + {{ i }}u] = vec4<f16>();
{% endfor %}
            }
{% else %}
{% for i in range(4) %}
            var four{{ i }} = vec4<f16>();
            if (held && first_k + {{ 4 * i }}u < parameters.inputs) {
{% if format == "f16" %}
                four{{ i }} = halves(output + from_output, first_k + {{ 4 * i }}u);
{% else %}
                four{{ i }} = vec4<f16>(numbers(output + from_output, first_k + {{ 4 * i }}u) * parameters.weight_scale);
{% endif %}
            }
{% endfor %}
{% for i in range(4) %}
            ws[at + {{ i }}u] = four{{ i }};
{% endfor %}
{% endif %}
        }
        workgroupBarrier();
        for (var i = 0u; i < {{ step // 4 }}u; i += {{ side // 4 }}u) {
{% for o in range(across) %}
            let b{{ o }} = coopLoad<{{ matrix }}<f16, B>>(&ws[(first_across + {{ o * side }}u) * {{ stride }}u + i], {{ stride }}u);
{% endfor %}
{% for r in range(down) %}
{% for term in range(terms) %}
            let a{{ r }}_{{ term }} = coopLoadT<{{ matrix }}<f16, A>>(&xs{{ term }}[(first_down + {{ r * side }}u) * {{ stride }}u + i], {{ stride }}u);
{% endfor %}
{% for term in range(terms) %}
{% for o in range(across) %}
            sum{{ r }}_{{ o }} = coopMultiplyAdd(a{{ r }}_{{ term }}, b{{ o }}, sum{{ r }}_{{ o }});
{% endfor %}
{% endfor %}
{% endfor %}
        }
    }
    // One copy of what follows, which is most of the code.
    let own = subgroup * {{ side * side // 4 }}u;
    for (var i = 0u; i < {{ down * across }}u; i += 1u) {
        var sum = sum0_0;
        switch i {
{% for r in range(down) %}
{% for o in range(across) %}
            case {{ r * across + o }}u: {
                sum = sum{{ r }}_{{ o }};
            }
{% endfor %}
{% endfor %}
            default: {
            }
        }
        workgroupBarrier();
        // Each by a name, without which naga fails.
        let matrix = sum;
        let there = &sums[own];
        let stride = {{ side // 4 }}u;
        coopStoreT(matrix, there, stride);
        workgroupBarrier();
        for (var four = subgroup_lane; four < {{ side * side // 4 }}u; four += {{ lanes }}u) {
            let row = first_row + first_down + i / {{ across }}u * {{ side }}u + four / {{ side // 4 }}u;
            let output = first_output + first_across + i % {{ across }}u * {{ side }}u + four % {{ side // 4 }}u * 4u;
            if (row < end_row && output < end) {
                // The smaller power first, so that nothing becomes infinite in between.
                let of_row = scales[row];
                let of_weight = parameters.weight_unscale;
                let four_sums = sums[own + four] * min(of_row, of_weight) * max(of_row, of_weight);
                finish(four_sums, to_row + row, to_column + output, to_column + start, to_column + end);
            }
        }
    }
}
