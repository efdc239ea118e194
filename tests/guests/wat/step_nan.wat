;; step
;; Gives what is no number. The list of one field lies at 1304: the name at 1048, the third kind of value, and the number.
(data (i32.const 1204) "\18\05\00\00\01\00\00\00")
(data (i32.const 1304) "\18\04\00\00\06\00\00\00\02\00\00\00\00\00\00\00\00\00\00\00\00\00\f8\7f")
(func (export "inference:runtime/step-processing@0.1.0#process") (param i32 i32) (result i32) (i32.const 1200))
