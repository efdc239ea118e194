// A product for few rows: `to[row, first + output] = finish(sum over k of x[row, k] w[output, k])`.
//
// A workgroup computes {{ rows }} rows for {{ outputs }} outputs; its threads share the inputs, a chunk each at a time, so
// that neighbours read neighbouring words of the weight.
{% include "weight" %}
{% from "weight_chunk" import load, four %}
{% if format == "blocks" %}
{% set factored = 16 if group == 16 else chunk %}
{% set least = factors in ["pair", "scale_and_min", "halves"] %}
{% endif %}
{% set fours = false %}
{% include "finish" %}
{% set sums = rows * outputs %}

// Of each subgroup, or of each thread, all sums.
var<workgroup> parts: array<f32, {{ threads * sums }}>;
{% if not subgroups %}
var<workgroup> halves: array<f32, {{ threads }}>;
{% endif %}

fn activations(row: u32, k: u32) -> vec4<f32> {
{% if vectors %}
    return x[(row * parameters.inputs + k) / 4u];
{% else %}
    // The last numbers of a row may be fewer than four; those of the weight are zeros there.
    let at = row * parameters.inputs + k;
    let last = parameters.inputs - 1u - k;
    let four = vec4(x[at], x[at + min(1u, last)], x[at + min(2u, last)], x[at + min(3u, last)]);
    return select(four, vec4(0.0), vec4(0u, 1u, 2u, 3u) > vec4(last));
{% endif %}
}

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
{% if subgroups %}
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroup_count: u32,
    @builtin(subgroup_invocation_id) subgroup_lane: u32,
{% endif %}
) {
    let group = group_number(id);
    if (group >= parameters.groups) {
        return;
    }
{% if experts %}
    let blocks = (parameters.outputs + {{ outputs - 1 }}u) / {{ outputs }}u;
    let first_output = group % blocks * {{ outputs }}u;
    let tile = tiles[group / blocks];
    let first_row = tile.y;
    let end_row = tile.y + tile.z;
    if (tile.z == 0u) {
        return;
    }
{% else %}
    // Neighbouring workgroups share rows of the weight.
    let row_tiles = (parameters.rows + {{ rows - 1 }}u) / {{ rows }}u;
    let first_output = group / row_tiles * {{ outputs }}u;
    let first_row = group % row_tiles * {{ rows }}u;
    let end_row = parameters.rows;
{% endif %}
    // Rows and outputs beyond the last are computed as the last once more, and not written.
{% for o in range(outputs) %}
    let output{{ o }} = min(first_output + {{ o }}u, parameters.outputs - 1u);
{% if experts %}
    // Before the part of the weights that is at hand, this is a large number.
    let stacked{{ o }} = tile.x * parameters.outputs + output{{ o }} - parameters.first;
    let weight_row{{ o }} = select(0u, stacked{{ o }}, stacked{{ o }} < parameters.held);
{% else %}
    let weight_row{{ o }} = output{{ o }};
{% endif %}
{% for r in range(rows) %}
    var sum{{ r }}_{{ o }} = 0.0;
{% endfor %}
{% endfor %}
{% for r in range(rows) %}
    let row{{ r }} = min(first_row + {{ r }}u, end_row - 1u);
{% endfor %}
    for (var k = lane * {{ chunk }}u; k < parameters.inputs; k += {{ threads * chunk }}u) {
{% for o in range(outputs) %}
{{ load(o) }}
{% endfor %}
{% if format == "blocks" %}
{% for part in range(chunk // factored) %}
        // Numbers with one factor.
{% for o in range(outputs) %}
        let factors{{ part }}_{{ o }} = factors_of(weight_row{{ o }}, k + {{ part * factored }}u);
{% endfor %}
        {
{% for r in range(rows) %}
{% if least %}
            var all{{ r }} = 0.0;
{% endif %}
{% for o in range(outputs) %}
            var part{{ r }}_{{ o }} = 0.0;
{% endfor %}
{% endfor %}
{% for q in range(factored // 4) %}
            {
{% for r in range(rows) %}
            let x{{ r }} = activations(row{{ r }}, k + {{ part * factored + 4 * q }}u);
{% if least %}
            all{{ r }} += dot(x{{ r }}, vec4(1.0));
{% endif %}
{% endfor %}
{% for o in range(outputs) %}
{{ four(o, part * factored // 4 + q) }}
{% for r in range(rows) %}
            part{{ r }}_{{ o }} += dot(x{{ r }}, w{{ o }});
{% endfor %}
{% endfor %}
            }
{% endfor %}
{% for r in range(rows) %}
{% for o in range(outputs) %}
            sum{{ r }}_{{ o }} += factors{{ part }}_{{ o }}.x * part{{ r }}_{{ o }}{% if least %} + factors{{ part }}_{{ o }}.y * all{{ r }}{% endif %};
{% endfor %}
{% endfor %}
        }
{% endfor %}
{% else %}
{% for q in range(chunk // 4) %}
{% if q > 0 %}
        if (k + {{ 4 * q }}u < parameters.inputs)
{% endif %}
        {
{% for r in range(rows) %}
            let x{{ r }} = activations(row{{ r }}, k + {{ 4 * q }}u);
{% endfor %}
{% for o in range(outputs) %}
{{ four(o, q) }}
{% for r in range(rows) %}
            sum{{ r }}_{{ o }} += dot(x{{ r }}, w{{ o }});
{% endfor %}
{% endfor %}
        }
{% endfor %}
{% endif %}
    }
{% for r in range(rows) %}
{% for o in range(outputs) %}
{% if subgroups %}
    sum{{ r }}_{{ o }} = subgroupAdd(sum{{ r }}_{{ o }});
{% else %}
    parts[lane * {{ sums }}u + {{ r * outputs + o }}u] = sum{{ r }}_{{ o }};
{% endif %}
{% endfor %}
{% endfor %}
{% if subgroups %}
    if (subgroup_lane == 0u) {
{% for r in range(rows) %}
{% for o in range(outputs) %}
        parts[subgroup * {{ sums }}u + {{ r * outputs + o }}u] = sum{{ r }}_{{ o }};
{% endfor %}
{% endfor %}
    }
    workgroupBarrier();
{% else %}
    // First by several threads for each sum.
    workgroupBarrier();
    var some = 0.0;
    for (var i = lane; i < {{ threads * sums }}u; i += {{ threads }}u) {
        some += parts[i];
    }
    halves[lane] = some;
    workgroupBarrier();
{% endif %}
    // Each number is finished by a thread of its own.
    if (lane < {{ sums }}u) {
        var all = 0.0;
{% if subgroups %}
        for (var i = 0u; i < subgroup_count; i += 1u) {
            all += parts[i * {{ sums }}u + lane];
        }
{% else %}
        for (var i = lane; i < {{ threads }}u; i += {{ sums }}u) {
            all += halves[i];
        }
{% endif %}
        let row = first_row + lane / {{ outputs }}u;
        let output = first_output + lane % {{ outputs }}u;
        var written = row < end_row && output < parameters.outputs;
{% if experts %}
        written = written && tile.x * parameters.outputs + output - parameters.first < parameters.held;
{% endif %}
        if (written) {
            finish(all, row, {% if not experts %}parameters.first + {% endif %}output);
        }
    }
}
