// A product for many rows: `to[row, first + output] = finish(sum over k of x[row, k] w[output, k])`.
//
// A workgroup computes a tile of {{ rows }} rows and {{ outputs }} outputs, over 16 inputs at a time that all of its threads
// read from shared memory; each thread has {{ each_rows }} by {{ each_outputs }} of the sums in registers. Where inputs are cut
// up among workgroups, it leaves sums for `product_join`.
{% set across = outputs // each_outputs %}
{% set threads = rows // each_rows * across %}
{% set row_stride = rows // 4 + 1 %}
{% set output_stride = outputs // 4 + 1 %}
{% include "weight" %}
{% set fours = true %}
{% include "finish" %}

// [input, row / 4] and [input, output / 4], with one more at the end of each row of memory against conflicts of banks.
var<workgroup> xs: array<vec4<f32>, {{ 16 * row_stride }}>;
var<workgroup> ws: array<vec4<f32>, {{ 16 * output_stride }}>;

fn activations(row: u32, end_row: u32, k: u32) -> vec4<f32> {
    if (k >= parameters.inputs || row >= end_row) {
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
    let group = group_number(id);
    if (group >= parameters.groups) {
        return;
    }
{% include "tile" %}
    let tx = lane % {{ across }}u;
    let ty = lane / {{ across }}u;
{% for r in range(each_rows) %}
{% for o in range(each_outputs // 4) %}
    var sum{{ r }}_{{ o }} = vec4(0.0);
{% endfor %}
{% endfor %}
    for (var k = first_input; k < end_input; k += 16u) {
        workgroupBarrier();
        // Four inputs of a row, or of an output, at a time.
        for (var i = lane; i < {{ rows * 4 }}u; i += {{ threads }}u) {
            let row = i / 4u;
            let within = i % 4u * 4u;
            let some = activations(first_row + row, end_row, k + within);
{% for i in range(4) %}
            xs[(within + {{ i }}u) * {{ row_stride }}u + row / 4u][row % 4u] = some[{{ i }}];
{% endfor %}
        }
        for (var i = lane; i < {{ outputs * 4 }}u; i += {{ threads }}u) {
            let row = i / 4u;
            let within = i % 4u * 4u;
            let output = first_output + row;
            var some = vec4(0.0);
            if (k + within < parameters.inputs && output >= start && output < end) {
                some = numbers(output + from_output, k + within);
            }
{% for i in range(4) %}
            ws[(within + {{ i }}u) * {{ output_stride }}u + row / 4u][row % 4u] = some[{{ i }}];
{% endfor %}
        }
        workgroupBarrier();
        for (var i = 0u; i < 16u; i += 2u) {
{% for j in range(2) %}
            {
{% for r in range(each_rows // 4) %}
                let a{{ r }} = xs[(i + {{ j }}u) * {{ row_stride }}u + ty * {{ each_rows // 4 }}u + {{ r }}u];
{% endfor %}
{% for o in range(each_outputs // 4) %}
                let b{{ o }} = ws[(i + {{ j }}u) * {{ output_stride }}u + tx + {{ o * across }}u];
{% endfor %}
{% for r in range(each_rows) %}
{% for o in range(each_outputs // 4) %}
                sum{{ r }}_{{ o }} = fma(vec4(a{{ r // 4 }}[{{ r % 4 }}]), b{{ o }}, sum{{ r }}_{{ o }});
{% endfor %}
{% endfor %}
            }
{% endfor %}
        }
    }
{% set vectors_across = each_outputs // 4 %}
    // One copy of what follows, which is most of the code.
    for (var i = 0u; i < {{ each_rows * vectors_across }}u; i += 1u) {
        var sum = vec4(0.0);
        switch i {
{% for r in range(each_rows) %}
{% for o in range(vectors_across) %}
            case {{ r * vectors_across + o }}u: {
                sum = sum{{ r }}_{{ o }};
            }
{% endfor %}
{% endfor %}
            default: {
            }
        }
        let row = first_row + ty * {{ each_rows }}u + i / {{ vectors_across }}u;
        let output = first_output + (tx + i % {{ vectors_across }}u * {{ across }}u) * 4u;
        if (row < end_row && output < end) {
            finish(sum, to_row + row, to_column + output, to_column + start, to_column + end);
        }
    }
}
