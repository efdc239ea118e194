;; logits-processor
;; Does not give the row of scores back.
(import "[export]inference:runtime/logits-processing@0.1.0" "[resource-new]sequence" (func $new (param i32) (result i32)))
(func (export "inference:runtime/logits-processing@0.1.0#[method]sequence.process") (param i32 i32 i32 i32))
