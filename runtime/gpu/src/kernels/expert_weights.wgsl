// The experts of each row: those of the greatest logits, the first of equal ones, in order of their numbers; and the softmax
// of their logits. A thread has a row.
@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group_number(id) * {{ threads }}u + lane;
    if (row >= parameters.count) {
        return;
    }
    let first = row * parameters.experts;
    // The next expert is the greatest of those that come after the last one.
    var last = 3.4028234e38;
    var last_expert = 0u;
    var highest = -3.4028234e38;
    for (var k = 0u; k < parameters.top_k; k += 1u) {
        var best = -3.4028234e38;
        var best_expert = 0xffffffffu;
        for (var expert = 0u; expert < parameters.experts; expert += 1u) {
            // What is no number, or below all numbers, comes behind all numbers.
            var logit = logits[first + expert];
            if (!(logit >= -3.4028234e38)) {
                logit = -3.4028234e38;
            }
            let after = k == 0u || logit < last || (logit == last && expert > last_expert);
            if (after && (best_expert == 0xffffffffu || logit > best)) {
                best = logit;
                best_expert = expert;
            }
        }
        last = best;
        last_expert = best_expert;
        highest = max(highest, best);
        // Put in order of numbers among those before it.
        var at = k;
        while (at > 0u && chosen[row * parameters.top_k + at - 1u] > best_expert) {
            chosen[row * parameters.top_k + at] = chosen[row * parameters.top_k + at - 1u];
            at -= 1u;
        }
        chosen[row * parameters.top_k + at] = best_expert;
    }
    var sum = 0.0;
{% if normalise %}
    for (var k = 0u; k < parameters.top_k; k += 1u) {
        sum += exp(logits[first + chosen[row * parameters.top_k + k]] - highest);
    }
{% else %}
    for (var expert = 0u; expert < parameters.experts; expert += 1u) {
        sum += exp(logits[first + expert] - highest);
    }
{% endif %}
    for (var k = 0u; k < parameters.top_k; k += 1u) {
        let at = row * parameters.top_k + k;
        weights[at] = exp(logits[first + chosen[at]] - highest) / sum;
    }
}
