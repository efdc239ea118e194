// Joins what workgroups of `attention_split` have found for a row. A thread has a number of the result.
{% set quads = (head_size + 3) // 4 %}
@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let at = group_number(id) * {{ threads }}u + lane;
    if (at >= parameters.count) {
        return;
    }
    let column = at % {{ head_size }}u;
    let head = at / {{ head_size }}u % parameters.heads;
    let number = at / {{ head_size }}u / parameters.heads;
    let place = (number * parameters.heads + head) * parameters.splits;
    var highest = -1e30;
    for (var split = 0u; split < parameters.splits; split += 1u) {
        highest = max(highest, parts[(place + split) * {{ quads + 1 }}u + {{ quads }}u].x);
    }
    var sum = 0.0;
    var y = 0.0;
    for (var split = 0u; split < parameters.splits; split += 1u) {
        let part = (place + split) * {{ quads + 1 }}u;
        let of_split = parts[part + {{ quads }}u];
        let factor = exp(of_split.x - highest);
        sum += factor * of_split.y;
        y += factor * parts[part + column / 4u][column % 4u];
    }
    to[(few[number] * parameters.heads + head) * {{ head_size }}u + column] = select(0.0, y / sum, sum > 0.0);
}
