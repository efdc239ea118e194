// The rows and outputs of a workgroup's tile, and the inputs that it takes of them.
{% if experts %}
    let blocks = (parameters.outputs + {{ outputs - 1 }}u) / {{ outputs }}u;
    let tile = tiles[group / blocks];
    if (tile.z == 0u) {
        return;
    }
    let first_row = tile.y;
    let end_row = tile.y + tile.z;
    let first_output = group % blocks * {{ outputs }}u;
    // Of the outputs of the tile's expert, this part of the weights has some.
    let stacked = tile.x * parameters.outputs;
    let start = max(stacked, parameters.first) - stacked;
    let end = min(parameters.outputs, max(stacked, parameters.first + parameters.held) - stacked);
    // From an output to its row in this part.
    let from_output = stacked - parameters.first;
    let to_column = 0u;
{% else %}
    // Neighbouring workgroups share rows of the weight.
    let tiles = (parameters.rows + {{ rows - 1 }}u) / {{ rows }}u;
    let first_row = group % tiles * {{ rows }}u;
    let end_row = parameters.rows;
{% if split %}
    let part = group / tiles % parameters.parts;
    let first_output = group / tiles / parameters.parts * {{ outputs }}u;
{% else %}
    let first_output = group / tiles * {{ outputs }}u;
{% endif %}
    let start = 0u;
    let end = parameters.outputs;
    let from_output = 0u;
    let to_column = parameters.first;
{% endif %}
{% if split %}
    let first_input = part * parameters.span;
    let end_input = min(parameters.inputs, first_input + parameters.span);
    // Each part has rows of its own.
    let to_row = part * parameters.rows;
{% else %}
    let first_input = 0u;
    let end_input = parameters.inputs;
    let to_row = 0u;
{% endif %}
