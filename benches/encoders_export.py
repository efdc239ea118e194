#!/usr/bin/env python3
"""Exports a BERT encoder to ONNX for `benches/encoders.py`, in the forms that ONNX Runtime is at its best with.

    python encoders_export.py MODEL_FOLDER OUT

Writes OUT/plain.onnx, OUT/fused.onnx (fused by onnxruntime.transformers), and both quantized dynamically to int8:
OUT/plain-int8.onnx, OUT/fused-int8.onnx.
"""

import pathlib
import sys

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions
from transformers import AutoModel


class Hidden(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.model(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state


def main():
    folder, out = sys.argv[1], pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    model = AutoModel.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    ids = torch.randint(5, 1000, (2, 12))
    names = ["input_ids", "attention_mask", "token_type_ids"]
    torch.onnx.export(
        Hidden(model),
        (ids, torch.ones_like(ids), torch.zeros_like(ids)),
        out / "plain.onnx",
        input_names=names,
        output_names=["hidden_states"],
        dynamic_axes={name: {0: "batch", 1: "tokens"} for name in [*names, "hidden_states"]},
        opset_version=17,
        dynamo=False,
    )
    heads, hidden = model.config.num_attention_heads, model.config.hidden_size
    fused = optimizer.optimize_model(
        str(out / "plain.onnx"), "bert", num_heads=heads, hidden_size=hidden, opt_level=0, optimization_options=FusionOptions("bert")
    )
    print("fused operators:", fused.get_fused_operator_statistics())
    fused.save_model_to_file(str(out / "fused.onnx"))
    for form in ["plain", "fused"]:
        # Shapes of fused operators cannot be inferred, so that the type must be told.
        known = {"DefaultTensorType": onnx.TensorProto.FLOAT}
        quantize_dynamic(out / f"{form}.onnx", out / f"{form}-int8.onnx", weight_type=QuantType.QInt8, extra_options=known)


main()
