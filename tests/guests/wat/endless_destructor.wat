;; logits-processor
;; Drops a text of its own, which never ends.
(import "[export]inference:runtime/logits-processing@0.1.0" "[resource-new]sequence" (func $new (param i32) (result i32)))
(import "[export]inference:runtime/logits-processing@0.1.0" "[resource-drop]sequence" (func $drop (param i32)))
(import "inference:runtime/logits@0.1.0" "[resource-drop]row" (func $drop_row (param i32)))
(func (export "inference:runtime/logits-processing@0.1.0#[dtor]sequence") (param i32) (loop $again (br $again)))
(func (export "inference:runtime/logits-processing@0.1.0#[method]sequence.process") (param i32 i32 i32 i32)
    (call $drop_row (local.get 3))
    (call $drop (call $new (i32.const 8))))
