// A product for many rows: `to[row, first + output] = finish(sum over k of x[row, k] w[output, k])`.
//
// A workgroup computes a tile of 64 rows and 64 outputs, over 16 inputs at a time that all of its threads read from shared
// memory; each thread has 4 by 4 of the sums in registers.
{% include "weight" %}
{% set fours = true %}
{% include "finish" %}

// [input, row / 4] and [input, output / 4], with one more at the end of each row of memory against conflicts of banks.
var<workgroup> xs: array<vec4<f32>, 272>;
var<workgroup> ws: array<vec4<f32>, 272>;

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

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let group = group_number(id);
    if (group >= parameters.groups) {
        return;
    }
{% if experts %}
    let blocks = (parameters.outputs + 63u) / 64u;
    let tile = tiles[group / blocks];
    if (tile.z == 0u) {
        return;
    }
    let first_row = tile.y;
    let end_row = tile.y + tile.z;
    let first_output = group % blocks * 64u;
{% else %}
    // Neighbouring workgroups share rows of the weight.
    let tiles = (parameters.rows + 63u) / 64u;
    let first_row = group % tiles * 64u;
    let end_row = parameters.rows;
    let first_output = group / tiles * 64u;
{% endif %}
    let tx = lane % 16u;
    let ty = lane / 16u;
    // What this thread brings to shared memory: four inputs of a row, and of an output.
    let brought = lane / 4u;
    let part = lane % 4u * 4u;
    let from_row = first_row + brought;
    let from_output = first_output + brought;
{% if experts %}
    // Before the part of the weights that is at hand, this is a large number.
    let from_weight = tile.x * parameters.outputs + from_output - parameters.first;
    let brings = from_output < parameters.outputs && from_weight < parameters.held;
{% else %}
    let from_weight = from_output;
    let brings = from_output < parameters.outputs;
{% endif %}
{% for i in range(4) %}
    var sum{{ i }} = vec4(0.0);
{% endfor %}
    for (var k = 0u; k < parameters.inputs; k += 16u) {
        let some_x = activations(from_row, end_row, k + part);
        var some_w = vec4(0.0);
        if (k + part < parameters.inputs && brings) {
            some_w = numbers(from_weight, k + part);
        }
        workgroupBarrier();
{% for i in range(4) %}
        xs[(part + {{ i }}u) * 17u + brought / 4u][brought % 4u] = some_x[{{ i }}];
        ws[(part + {{ i }}u) * 17u + brought / 4u][brought % 4u] = some_w[{{ i }}];
{% endfor %}
        workgroupBarrier();
        for (var i = 0u; i < 16u * 17u; i += 4u * 17u) {
{% for j in range(4) %}
            {
                let a = xs[i + {{ j * 17 }}u + ty];
                let b = ws[i + {{ j * 17 }}u + tx];
                sum0 = fma(vec4(a.x), b, sum0);
                sum1 = fma(vec4(a.y), b, sum1);
                sum2 = fma(vec4(a.z), b, sum2);
                sum3 = fma(vec4(a.w), b, sum3);
            }
{% endfor %}
        }
    }
    let output = first_output + tx * 4u;
    if (output >= parameters.outputs) {
        return;
    }
{% if experts %}
    // Of the outputs of the tile's expert, this part of the weights has some.
    let stacked = tile.x * parameters.outputs;
    let start = max(stacked, parameters.first) - stacked;
    let end = min(parameters.outputs, max(stacked, parameters.first + parameters.held) - stacked);
{% else %}
    let start = 0u;
    let end = parameters.first + parameters.outputs;
{% endif %}
{% for r in range(4) %}
    if (first_row + ty * 4u + {{ r }}u < end_row) {
        finish(sum{{ r }}, first_row + ty * 4u + {{ r }}u, {% if not experts %}parameters.first + {% endif %}output, start, end);
    }
{% endfor %}
}
