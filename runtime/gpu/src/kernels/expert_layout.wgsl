// Lays rows out by expert. One workgroup; a thread goes through all choices for each of its experts, so that rows keep
// their order.
{% set threads = 256 %}
var<workgroup> counts: array<u32, {{ experts }}>;

@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    for (var expert = lane; expert < {{ experts }}u; expert += {{ threads }}u) {
        var count = 0u;
        for (var at = 0u; at < parameters.choices; at += 1u) {
            count += select(0u, 1u, chosen[at] == expert);
        }
        counts[expert] = count;
    }
    workgroupBarrier();
    for (var expert = lane; expert < {{ experts }}u; expert += {{ threads }}u) {
        var next = 0u;
        var tile = 0u;
        for (var before = 0u; before < expert; before += 1u) {
            next += counts[before];
            tile += (counts[before] + {{ tile - 1 }}u) / {{ tile }}u;
        }
        let end = next + counts[expert];
        for (var place = next; place < end; place += {{ tile }}u) {
            tiles[tile] = vec4(expert, place, min({{ tile }}u, end - place), 0u);
            tile += 1u;
        }
        // Behind the last expert's, tiles have no rows.
        if (expert == {{ experts - 1 }}u) {
            for (; tile < parameters.tiles; tile += 1u) {
                tiles[tile] = vec4(0u);
            }
        }
        for (var at = 0u; at < parameters.choices; at += 1u) {
            if (chosen[at] == expert) {
                rows[next] = at / parameters.top_k;
                places[at] = next;
                next += 1u;
            }
        }
    }
}
