// The greatest numbers of each row in order, the first of equal ones, with their columns. A workgroup has a row.
var<workgroup> values: array<f32, {{ threads }}>;
var<workgroup> columns: array<u32, {{ threads }}>;

// Whether a number comes before another. What is no number comes last.
fn before(value: f32, column: u32, other: f32, other_column: u32) -> bool {
    return value > other || (value == other && column < other_column);
}

@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group_number(id);
    if (row >= parameters.groups) {
        return;
    }
    let first = row * parameters.width;
    var last = 0.0;
    var last_column = 0u;
    for (var k = 0u; k < parameters.count; k += 1u) {
        var best = -3.4028234e38;
        var best_column = 0xffffffffu;
        for (var column = lane; column < parameters.width; column += {{ threads }}u) {
            var value = x[first + column];
            // Written so that it holds for what is no number too.
            if (!(value >= -3.4028234e38)) {
                value = -3.4028234e38;
            }
            if (k > 0u && !before(last, last_column, value, column)) {
                continue;
            }
            if (best_column == 0xffffffffu || value > best) {
                best = value;
                best_column = column;
            }
        }
        values[lane] = best;
        columns[lane] = best_column;
        for (var half = {{ threads // 2 }}u; half > 0u; half /= 2u) {
            workgroupBarrier();
            if (lane < half && before(values[lane + half], columns[lane + half], values[lane], columns[lane])) {
                values[lane] = values[lane + half];
                columns[lane] = columns[lane + half];
            }
        }
        workgroupBarrier();
        last = values[0];
        last_column = columns[0];
        workgroupBarrier();
        if (lane == 0u) {
            ids[row * parameters.count + k] = last_column;
{% if scores %}
            scores[row * parameters.count + k] = x[first + last_column];
{% endif %}
        }
    }
}
