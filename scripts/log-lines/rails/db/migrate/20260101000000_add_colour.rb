# One that nobody has applied.
class AddColour < ActiveRecord::Migration[6.1]
  def change
    add_column :tools, :colour, :string
  end
end
