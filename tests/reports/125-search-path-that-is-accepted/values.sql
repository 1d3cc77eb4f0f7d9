SELECT count(*) FROM public.t; SELECT count(*) FROM shop.t
