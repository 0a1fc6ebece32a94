ALTER TYPE shop.state ADD VALUE 'shipped';
