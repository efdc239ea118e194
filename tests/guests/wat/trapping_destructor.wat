;; logits-processor
;; Its texts cannot be dropped.
(import "[export]inference:runtime/logits-processing@0.1.0" "[resource-new]sequence" (func $new (param i32) (result i32)))
(import "inference:runtime/logits@0.1.0" "[resource-drop]row" (func $drop_row (param i32)))
(func (export "inference:runtime/logits-processing@0.1.0#[dtor]sequence") (param i32) (unreachable))
