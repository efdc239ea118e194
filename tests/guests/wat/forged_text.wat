;; logits-processor
;; Begins a text that it does not have.
(import "inference:runtime/logits@0.1.0" "[resource-drop]row" (func $drop_row (param i32)))
(data (i32.const 1200) "\00\00\00\00\0f\27\00\00")
(func (export "inference:runtime/logits-processing@0.1.0#[static]sequence.start") (param i32 i32 i32 i32) (result i32) (i32.const 1200))
