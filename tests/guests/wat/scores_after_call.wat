;; logits-processor
;; Uses the row of scores after it has given it back.
(import "[export]inference:runtime/logits-processing@0.1.0" "[resource-new]sequence" (func $new (param i32) (result i32)))
(import "inference:runtime/logits@0.1.0" "[method]row.len" (func $len (param i32) (result i32)))
(import "inference:runtime/logits@0.1.0" "[resource-drop]row" (func $drop_row (param i32)))
(func (export "inference:runtime/logits-processing@0.1.0#[method]sequence.process") (param i32 i32 i32 i32)
    (call $drop_row (local.get 3))
    (drop (call $len (local.get 3))))
