;; architecture
;; Describes itself with a list of 30,000 texts that are all the same 200 KiB of its memory: 6 GB.
(memory (export "memory") 16)
(data (i32.const 1024) "guest")
(data (i32.const 1032) "0.1.0")
;; The list begins at 0x80000.
(data (i32.const 1100) "\00\04\00\00\05\00\00\00\08\04\00\00\05\00\00\00\00\00\08\00\30\75\00\00")
(func (export "describe") (result i32)
    (local $at i32)
    (local.set $at (i32.const 0x80000))
    (loop $more
        (i32.store (local.get $at) (i32.const 65536))
        (i32.store offset=4 (local.get $at) (i32.const 204800))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $more (i32.lt_u (local.get $at) (i32.const 0xc0000))))
    (i32.const 1100))
