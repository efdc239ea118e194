;; step
;; Gives lists within lists, 190,000 of them.
(data (i32.const 1204) "\18\05\00\00\01\00\00\00")
(data (i32.const 1304) "\18\04\00\00\06\00\00\00\04\00\00\00\00\00\00\00\00\00\01\00\30\e6\02\00")
(func (export "inference:runtime/step-processing@0.1.0#process") (param i32 i32) (result i32)
    (memory.fill (i32.const 65536) (i32.const 0x5b) (i32.const 190000))
    (i32.const 1200))
