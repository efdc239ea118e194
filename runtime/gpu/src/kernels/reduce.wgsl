// Sums over the threads of a workgroup. All threads get the sum, in the same order whatever else there is.
{% if subgroups %}
var<workgroup> parts: array<f32, {{ threads }}>;

fn sum_over_threads(x: f32, lane: u32, subgroup: u32, subgroup_count: u32, subgroup_lane: u32) -> f32 {
    let part = subgroupAdd(x);
    if (subgroup_count == 1u) {
        return part;
    }
    if (subgroup_lane == 0u) {
        parts[subgroup] = part;
    }
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < subgroup_count; i += 1u) {
        sum += parts[i];
    }
    workgroupBarrier();
    return sum;
}
{% else %}
var<workgroup> parts: array<f32, {{ threads }}>;

fn sum_over_threads(x: f32, lane: u32, subgroup: u32, subgroup_count: u32, subgroup_lane: u32) -> f32 {
    parts[lane] = x;
    for (var half = {{ threads }}u / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            parts[lane] += parts[lane + half];
        }
    }
    workgroupBarrier();
    let sum = parts[0];
    workgroupBarrier();
    return sum;
}
{% endif %}
