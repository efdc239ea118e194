// The greatest numbers of each part of a row in order, the first of equal ones, with their columns. A workgroup has a part.
// The lists of a row's parts are the row of the next round, until there is one part. What is no number comes first. Numbers
// are compared by their bits, since compilers may take it that there is no NaN and no infinity.
var<workgroup> keys: array<u32, {{ entries }}>;
var<workgroup> columns: array<u32, {{ entries }}>;

{% if first %}
// Whole numbers in the order of the numbers with these bits; both zeros are one. None is 0, which is no entry.
fn order(bits: u32) -> u32 {
    let magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return 0xffffffffu;
    }
    if (magnitude == 0u) {
        return 0x80000000u;
    }
    return select(bits | 0x80000000u, ~bits, bits > 0x7fffffffu);
}
{% endif %}

fn before(key: u32, column: u32, other: u32, other_column: u32) -> bool {
    return key > other || (key == other && column < other_column);
}

@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let group = group_number(id);
    if (group >= parameters.groups) {
        return;
    }
    let row = group / parameters.parts;
    let first = (group % parameters.parts) * {{ part }}u;
    let end = min(first + {{ part }}u, parameters.width);
    let start = row * parameters.width;
{% if one %}
    var key = 0u;
    var column = 0xffffffffu;
    for (var at = first + lane; at < end; at += {{ threads }}u) {
{% if first %}
        let other = order(x[start + at]);
        let other_column = at;
{% else %}
        let other = from_keys[start + at];
        let other_column = from_columns[start + at];
{% endif %}
        if (before(other, other_column, key, column)) {
            key = other;
            column = other_column;
        }
    }
    keys[lane] = key;
    columns[lane] = column;
    for (var half = {{ threads // 2 }}u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half && before(keys[lane + half], columns[lane + half], keys[lane], columns[lane])) {
            keys[lane] = keys[lane + half];
            columns[lane] = columns[lane + half];
        }
    }
{% else %}
    for (var i = lane; i < {{ part }}u; i += {{ threads }}u) {
        let at = first + i;
        var key = 0u;
        var column = 0xffffffffu;
        if (at < end) {
{% if first %}
            key = order(x[start + at]);
            column = at;
{% else %}
            key = from_keys[start + at];
            column = from_columns[start + at];
{% endif %}
        }
        keys[i] = key;
        columns[i] = column;
    }
    // Bitonic sorting.
    for (var size = 2u; size <= {{ part }}u; size *= 2u) {
        for (var half = size / 2u; half > 0u; half /= 2u) {
            workgroupBarrier();
            for (var pair = lane; pair < {{ part // 2 }}u; pair += {{ threads }}u) {
                let a = 2u * pair - (pair & (half - 1u));
                let b = a + half;
                let key = keys[a];
                let column = columns[a];
                if (before(keys[b], columns[b], key, column) == ((a & size) == 0u)) {
                    keys[a] = keys[b];
                    columns[a] = columns[b];
                    keys[b] = key;
                    columns[b] = column;
                }
            }
        }
    }
{% endif %}
    workgroupBarrier();
    for (var i = lane; i < parameters.count; i += {{ threads }}u) {
        let to = group * parameters.count + i;
{% if last %}
        ids[to] = columns[i];
{% if scores %}
        scores[to] = x[row * parameters.all + columns[i]];
{% endif %}
{% else %}
        to_keys[to] = keys[i];
        to_columns[to] = columns[i];
{% endif %}
    }
}
