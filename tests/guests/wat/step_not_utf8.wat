;; step
;; Refuses a record for a reason that is no text.
(data (i32.const 1216) "\01\00\00\00\00\08\00\00\04\00\00\00")
(data (i32.const 2048) "\ff\ff\ff\ff")
(func (export "inference:runtime/step-processing@0.1.0#process") (param i32 i32) (result i32) (i32.const 1216))
