// For each part of a row its greatest number, and the sum of the exponentials of all less that. A workgroup has a part.
var<workgroup> shared_numbers: array<f32, {{ threads }}>;

@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let group = group_number(id);
    if (group >= parameters.groups) {
        return;
    }
    let start = (group / parameters.parts) * parameters.width;
    let first = (group % parameters.parts) * {{ part }}u;
    let end = min(first + {{ part }}u, parameters.width);
    var highest = -3.4028234e38;
    for (var at = first + lane; at < end; at += {{ threads }}u) {
        highest = max(highest, x[start + at]);
    }
    shared_numbers[lane] = highest;
    for (var half = {{ threads // 2 }}u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            shared_numbers[lane] = max(shared_numbers[lane], shared_numbers[lane + half]);
        }
    }
    workgroupBarrier();
    highest = shared_numbers[0];
    workgroupBarrier();
    var sum = 0.0;
    for (var at = first + lane; at < end; at += {{ threads }}u) {
        // Bounded, so that there is nothing infinite to calculate with.
        sum += exp(max(max(x[start + at], -3.4028234e38) * 0.5 - highest * 0.5, -50.0) * 2.0);
    }
    shared_numbers[lane] = sum;
    for (var half = {{ threads // 2 }}u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            shared_numbers[lane] += shared_numbers[lane + half];
        }
    }
    workgroupBarrier();
    if (lane == 0u) {
        to[2u * group] = highest;
        to[2u * group + 1u] = shared_numbers[0];
    }
}
