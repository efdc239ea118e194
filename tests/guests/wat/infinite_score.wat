;; logits-processor
;; Adds infinity to a score: the list of one pair lies at 2048.
(import "[export]inference:runtime/logits-processing@0.1.0" "[resource-new]sequence" (func $new (param i32) (result i32)))
(import "inference:runtime/logits@0.1.0" "[method]row.add" (func $add (param i32 i32 i32)))
(import "inference:runtime/logits@0.1.0" "[resource-drop]row" (func $drop_row (param i32)))
(data (i32.const 2048) "\02\00\00\00\00\00\80\7f")
(func (export "inference:runtime/logits-processing@0.1.0#[method]sequence.process") (param i32 i32 i32 i32)
    (call $add (local.get 3) (i32.const 2048) (i32.const 1))
    (call $drop_row (local.get 3)))
